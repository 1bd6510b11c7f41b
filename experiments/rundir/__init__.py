"""What a run leaves in its folder, and opening it again."""
