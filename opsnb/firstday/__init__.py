"""The first day with a project of one's own: parameter files written from what is there, and every setting tried one by one."""
