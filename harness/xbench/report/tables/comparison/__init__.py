"""Two runs side by side: cells that both have, and what differs between their settings."""
