package main

func hostRows() []row { return nil }
