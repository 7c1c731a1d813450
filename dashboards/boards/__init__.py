"""The boards, one file each: panels, and what each is for."""
