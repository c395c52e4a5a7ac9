"""What training minimises, and how much each of its terms weighs."""
