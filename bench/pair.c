/* pair RUNS [-e SHELL] LAMASSU ... [-- PEER ...]: runs two commands in turn, A B A B …, and prints their medians on one
 * line: A's wall time, CPU time (both in ms) and peak memory (MiB), then, with a PEER, B's wall and CPU time and the
 * medians of the ratios A/B, pair by pair. The shell command runs, untimed, before each pair. What the two print is
 * thrown away. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { RUNS = 100 };

struct cost {
	double wall[RUNS], cpu[RUNS], mem[RUNS];
};

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void child(char **argv)
{
	int null = open("/dev/null", O_RDWR), log = open("pair.log", O_WRONLY | O_CREAT | O_TRUNC, 0666);

	dup2(null, 0);
	dup2(null, 1);
	dup2(log, 2);
	execvp(argv[0], argv);
	perror(argv[0]);
	_exit(127);
}

static void run(char **argv, struct cost *c, size_t i)
{
	struct rusage used;
	double start = now();
	int status;
	pid_t pid = fork();

	if (pid == 0)
		child(argv);
	if (pid < 0 || wait4(pid, &status, 0, &used) != pid) {
		perror("pair");
		exit(1);
	}
	c->wall[i] = 1e3 * (now() - start);
	c->cpu[i] = 1e3 * (seconds(used.ru_utime) + seconds(used.ru_stime));
	c->mem[i] = (double)used.ru_maxrss / 1024;
	if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
		fprintf(stderr, "pair: %s failed (status %d), see pair.log\n", argv[0], status);
		exit(1);
	}
}

static int ascending(const void *x, const void *y)
{
	double a = *(const double *)x, b = *(const double *)y;

	return (a > b) - (a < b);
}

static double median(const double *v, size_t n)
{
	double sorted[RUNS];

	memcpy(sorted, v, n * sizeof(*v));
	qsort(sorted, n, sizeof(*sorted), ascending);
	return n % 2 ? sorted[n / 2] : (sorted[n / 2 - 1] + sorted[n / 2]) / 2;
}

static double ratio(const double *a, const double *b, size_t n)
{
	double r[RUNS];

	for (size_t i = 0; i < n; i++)
		r[i] = a[i] / (b[i] > 0 ? b[i] : 1e-3);
	return median(r, n);
}

int main(int argc, char **argv)
{
	static struct cost a, b;
	size_t runs = argc > 2 ? (size_t)strtoul(argv[1], NULL, 10) : 0;
	char **first = argv + 2, **second = NULL, *before = NULL;

	if (runs < 1 || runs > RUNS) {
		fprintf(stderr, "usage: pair RUNS [-e SHELL] LAMASSU ... [-- PEER ...]\n");
		return 2;
	}
	if (strcmp(*first, "-e") == 0 && argc > 4) {
		before = first[1];
		first += 2;
	}
	for (char **p = first; *p && !second; p++)
		if (strcmp(*p, "--") == 0) {
			*p = NULL;
			second = p + 1;
		}
	for (size_t i = 0; i < runs; i++) {
		if (before && system(before) != 0)
			return 1;
		run(first, &a, i);
		if (second)
			run(second, &b, i);
	}
	printf("%.3f %.3f %.1f", median(a.wall, runs), median(a.cpu, runs), median(a.mem, runs));
	if (second)
		printf(" %.3f %.3f %.3f %.3f", median(b.wall, runs), median(b.cpu, runs), ratio(a.wall, b.wall, runs),
		       ratio(a.cpu, b.cpu, runs));
	printf("\n");
	return 0;
}
