"""The way in: from the reader through router, filters and stages to inboxes, handlers and waiting tasks."""
