"""Model packs as data: which networks, from where, under which licence, and what was measured with them."""
