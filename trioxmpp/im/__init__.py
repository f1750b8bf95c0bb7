"""People's words: contacts, presence, rooms, conversations. What extensions add up to for an application that chats."""
