"""1:1: do two photos show one person, and how surely?"""
