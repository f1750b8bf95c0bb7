"""The words of people: contacts, presence, rooms, conversations. Each module puts extensions together for them."""
