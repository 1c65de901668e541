"""A cell's step as a program: written down, differentiated, put in order, and written as NumPy."""
