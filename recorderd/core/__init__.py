"""The station's behaviour, pure: no clock, thread, file, device, log, video or database here."""
