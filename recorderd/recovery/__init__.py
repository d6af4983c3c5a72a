"""What a crash, a full disk or a person has left half done is brought to its end.

At its start the station salvages by itself what it was recording; this is for all the rest:
`recorderd fsck --repair`, and the finisher's mending. Touches video, so it is imported lazily.
"""
