"""The formats that training sets are distributed in: one file each."""
