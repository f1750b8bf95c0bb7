"""The elements of extensions, one file for each XEP: declarations only, imported by the programs that use them."""
