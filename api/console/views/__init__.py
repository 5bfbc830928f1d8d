"""One module for each part of the console; each has its pages in a list named PAGES."""
