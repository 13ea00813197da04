"""The processes behind the app: what they are told, what they do, and the queue of jobs."""
