"""What durability costs on the way in, and what a flood does to memory."""
