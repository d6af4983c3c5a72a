"""`recorderd doctor`: is this station ready for work, and if not, what is to be done?"""
