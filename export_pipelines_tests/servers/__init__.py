"""Real servers on loopback for tests: started on free ports, stopped with the test run."""
