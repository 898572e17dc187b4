/* ocsp_load ADDRESS:PORT CONNECTIONS REQUESTS FILE...: posts OCSP requests, the files in turn, over connections that
 * are kept as long as the responder keeps them, and prints answers a second and the 50th and 99th percentile of the
 * latency in ms. Every answer is looked at: one that is not a successful OCSP answer ends the program with status 1. */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 1024, FILES = 1024, REQUEST = 4096, ANSWER = 64 << 10, TRIES = 20, PATIENCE_MS = 10000 };

struct conn {
	int fd;
	double sent;
	size_t got, file;
	int tries;
	char in[ANSWER];
};

static struct sockaddr_in to;
static struct message {
	char text[REQUEST];
	size_t n;
} messages[FILES];
static size_t nmessages;
static struct conn conns[CONNECTIONS];
static struct pollfd polled[CONNECTIONS];
static long left, done;
static float *latencies;

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fail(const char *what)
{
	fprintf(stderr, "ocsp_load: %s\n", what);
	exit(1);
}

static void read_message(const char *path, const char *host)
{
	struct message *m = &messages[nmessages++];
	char der[REQUEST / 2];
	int fd = open(path, O_RDONLY);
	ssize_t n = fd < 0 ? -1 : read(fd, der, sizeof(der));

	if (n <= 0)
		fail(path);
	close(fd);
	m->n = (size_t)snprintf(m->text, sizeof(m->text),
				"POST /ocsp HTTP/1.1\r\nHost: %s\r\nContent-Type: application/ocsp-request\r\n"
				"Content-Length: %zd\r\n\r\n", host, n);
	memcpy(m->text + m->n, der, (size_t)n);
	m->n += (size_t)n;
}

static void open_conn(size_t i)
{
	int one = 1;

	conns[i].fd = socket(AF_INET, SOCK_STREAM, 0);
	if (conns[i].fd < 0 || connect(conns[i].fd, (struct sockaddr *)&to, sizeof(to)) != 0)
		fail(strerror(errno));
	setsockopt(conns[i].fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	polled[i] = (struct pollfd){ .fd = conns[i].fd, .events = POLLIN };
}

static void put(size_t i)
{
	const struct message *m = &messages[conns[i].file];

	conns[i].got = 0;
	if (write(conns[i].fd, m->text, m->n) != (ssize_t)m->n && errno != EPIPE && errno != ECONNRESET)
		fail("a request cannot be sent");
}

static void next(size_t i)
{
	if (left == 0) {
		close(conns[i].fd);
		polled[i].fd = conns[i].fd = -1;
		return;
	}
	left--;
	conns[i].file = (conns[i].file + 1) % nmessages;
	conns[i].tries = 0;
	conns[i].sent = now();
	put(i);
}

/* A connection that ended before the answer: responders may close one that is idle. */
static void again(size_t i)
{
	if (++conns[i].tries > TRIES)
		fail("the responder closes its connections");
	close(conns[i].fd);
	open_conn(i);
	put(i);
}

/* What is there is all: > 0 is its length. */
static size_t complete(const struct conn *c)
{
	const char *end = strstr(c->in, "\r\n\r\n"), *length = strcasestr(c->in, "\r\ncontent-length:");
	size_t n = end && length && length < end ? (size_t)(end - c->in) + 4 + strtoul(length + 17, NULL, 10) : 0;

	return n && c->got >= n ? n : 0;
}

static void check(const struct conn *c, size_t n)
{
	const char *body = strstr(c->in, "\r\n\r\n") + 4;

	/* OCSPResponse ::= SEQUENCE { ENUMERATED successful … */
	if (strncmp(c->in, "HTTP/1.", 7) != 0 || strncmp(c->in + 8, " 200 ", 5) != 0 || body + 8 > c->in + n ||
	    !memmem(body, 8, "\x0a\x01\x00", 3))
		fail("an answer is not a successful OCSP answer");
}

static void receive(size_t i)
{
	struct conn *c = &conns[i];
	ssize_t n = read(c->fd, c->in + c->got, sizeof(c->in) - 1 - c->got);
	size_t whole;
	bool ends;

	if (n <= 0) {
		again(i);
		return;
	}
	c->got += (size_t)n;
	c->in[c->got] = '\0';
	whole = complete(c);
	if (whole == 0)
		return;
	check(c, whole);
	latencies[done++] = (float)(1e3 * (now() - c->sent));
	ends = strncmp(c->in + 7, "0", 1) == 0 || strcasestr(c->in, "\r\nconnection: close");
	if (ends && left > 0) {
		close(c->fd);
		open_conn(i);
	}
	next(i);
}

static int ascending(const void *x, const void *y)
{
	float a = *(const float *)x, b = *(const float *)y;

	return (a > b) - (a < b);
}

static void run(size_t n, long requests)
{
	double began = now(), took;

	left = requests;
	for (size_t i = 0; i < n; i++) {
		open_conn(i);
		conns[i].file = i % nmessages;
		next(i);
	}
	while (done < requests) {
		if (poll(polled, n, PATIENCE_MS) <= 0)
			fail("the responder does not answer");
		for (size_t i = 0; i < n; i++)
			if (polled[i].fd >= 0 && polled[i].revents)
				receive(i);
	}
	took = now() - began;
	qsort(latencies, (size_t)requests, sizeof(*latencies), ascending);
	printf("%.0f %.3f %.3f\n", (double)requests / took, (double)latencies[requests / 2],
	       (double)latencies[requests * 99 / 100]);
}

int main(int argc, char **argv)
{
	char *colon = argc > 4 ? strrchr(argv[1], ':') : NULL;
	long n = argc > 4 ? strtol(argv[2], NULL, 10) : 0, requests = argc > 4 ? strtol(argv[3], NULL, 10) : 0;

	if (!colon || n < 1 || n > CONNECTIONS || requests < n || argc - 4 > FILES) {
		fprintf(stderr, "usage: ocsp_load ADDRESS:PORT CONNECTIONS REQUESTS FILE...\n");
		return 2;
	}
	for (int i = 4; i < argc; i++)
		read_message(argv[i], argv[1]);
	*colon = '\0';
	to = (struct sockaddr_in){ .sin_family = AF_INET, .sin_port = htons((uint16_t)strtoul(colon + 1, NULL, 10)) };
	latencies = calloc((size_t)requests, sizeof(*latencies));
	if (!latencies || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1)
		fail("the address is not an IPv4 address");
	run((size_t)n, requests);
	return 0;
}
