"""The app. The only room that imports textual."""
