"""Make what is handed out: slides, screenshots, the recorded scoreboard."""
