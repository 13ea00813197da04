"""The processes behind the app: their messages, their work, and the queue of jobs."""
