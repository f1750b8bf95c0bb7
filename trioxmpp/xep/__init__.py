"""Extensions: each one file of elements, verbs, and at most one block, that uses the face of the client floor only."""
