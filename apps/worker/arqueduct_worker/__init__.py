"""Runs jobs: claims, stages, heartbeats, and the sweeping up of what others left behind."""
