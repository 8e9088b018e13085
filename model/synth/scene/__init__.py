"""Who and what is seen: bodies, clothes, rooms, lights, cameras."""
