"""One module for each revision, in order. A released one never changes."""
