package main

func parkReleases() {
	parkCoroutine()
	parkCleanup()
}
