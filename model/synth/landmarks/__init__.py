"""What a detector would see of moving people, without pictures: geometry, views, and its mistakes."""
