"""What each section of the page shows, worked out of the cells; templates only place it."""
