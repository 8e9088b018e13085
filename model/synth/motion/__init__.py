"""How people move and pose: captured, by hand, drawn at random."""
