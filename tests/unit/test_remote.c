/* Calls of remote services over real sockets: what is tried again and what is not, how long, limits on what a hostile
 * server may send, and that nothing secret gets into notes and messages. The server is a thread that plays one line of
 * a script for each request. */
#include <arpa/inet.h>
#include <curl/curl.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/pool.h"
#include "base/text.h"
#include "base/tm.h"
#include "engine/remote.h"

#include "tap.h"

/* --- the server --- */

#define RESET "reset" /* closes without a word, in the middle of the request */
#define HANG "hang"   /* says nothing for a while */
#define FLOOD "flood" /* headers without end */
#define OK_200 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\n{}"
#define STATUS(line, headers) "HTTP/1.1 " line "\r\nContent-Length: 0\r\nConnection: close\r\n" headers "\r\n"

static struct {
	int fd, port;
	pthread_mutex_t lock;
	const char *const *script;
	size_t at, ran; /* lines that are left are played; then OK_200 */
	struct buf seen;
	atomic_bool over;
} server = { .lock = PTHREAD_MUTEX_INITIALIZER };

static void wait_ms(int ms)
{
	poll(NULL, 0, ms);
}

static const char *const nothing[] = { NULL };

/* false: whoever connected has gone without a word, maybe long ago. */
static bool read_request(int fd)
{
	char text[8192];
	size_t n = 0, want = 0;
	const char *end = NULL, *length;

	while (n < sizeof(text) - 1 && !(end && n >= (size_t)(end + 4 - text) + want)) {
		ssize_t got = read(fd, text + n, sizeof(text) - 1 - n);

		if (got <= 0)
			break;
		n += (size_t)got;
		text[n] = '\0';
		if (text[0] == 0x16) /* TLS */
			break;
		end = strstr(text, "\r\n\r\n");
		length = strcasestr(text, "Content-Length: ");
		want = end && length ? strtoul(length + 16, NULL, 10) : 0;
	}
	pthread_mutex_lock(&server.lock);
	buf_put(&server.seen, text, n);
	pthread_mutex_unlock(&server.lock);
	return n > 0;
}

static void say(int fd, const void *p, size_t n)
{
	(void)!send(fd, p, n, MSG_NOSIGNAL);
}

static void answer(int fd, const char *line)
{
	const struct linger at_once = { 1, 0 };

	if (strcmp(line, RESET) == 0) {
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
	} else if (strcmp(line, HANG) == 0) {
		for (int i = 0; i < 100 && !server.over; i++)
			wait_ms(20);
	} else if (strcmp(line, FLOOD) == 0) {
		static const char header[] = "X-Flood: 0123456789012345678901234567890123456789\r\n";

		say(fd, "HTTP/1.1 200 OK\r\n", 17);
		for (int i = 0; i < 20000; i++)
			say(fd, header, sizeof(header) - 1);
	} else if (strcmp(line, "nul") == 0) {
		static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\na\0b\0c";

		say(fd, text, sizeof(text) - 1);
	} else {
		say(fd, line, strlen(line));
	}
}

static void *serve(void *arg)
{
	(void)arg;
	for (;;) {
		const char *line = OK_200;
		int fd = accept(server.fd, NULL, NULL);

		if (fd < 0 || server.over)
			return NULL;
		if (!read_request(fd)) {
			close(fd);
			continue;
		}
		pthread_mutex_lock(&server.lock);
		if (server.script[server.at])
			line = server.script[server.at++];
		server.ran++;
		pthread_mutex_unlock(&server.lock);
		answer(fd, line);
		close(fd);
	}
}

static pthread_t start_server(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof(at);
	pthread_t id;

	server.script = nothing;
	server.seen = buf_init(BUF_TEXT);
	server.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(server.fd, (struct sockaddr *)&at, sizeof(at)) != 0 || listen(server.fd, 64) != 0 ||
	    getsockname(server.fd, (struct sockaddr *)&at, &n) != 0 || pthread_create(&id, NULL, serve, NULL) != 0)
		abort();
	server.port = ntohs(at.sin_port);
	return id;
}

/* --- the client --- */

static struct arena *arena;
static struct buf notes;

static void note(void *arg, const char *msg)
{
	(void)arg;
	buf_printf(&notes, "%s\n", msg);
}

static struct ctx ctx = { .note = note };

struct ask {
	const char *url, *header;
	unsigned built, refreshed;
};

static int build(void *arg, struct arena *a, bool refresh, struct net_request *ret, struct err *e)
{
	struct ask *k = arg;
	struct net_header *h = arena_new_array(a, 1, struct net_header);

	(void)e;
	k->built++;
	k->refreshed += refresh;
	*h = (struct net_header){ "Authorization", k->header ? k->header : "Bearer secret-1" };
	*ret = (struct net_request){ .method = "POST", .url = k->url, .headers = h, .nheaders = 1,
				     .body = bytes_of("secret-3"), .what = "test" };
	return 0;
}

static enum remote_verdict judge(void *arg, struct arena *a, const struct net_answer *x, struct err *e)
{
	(void)arg, (void)a;
	if (x->status == 200)
		return REMOTE_DONE;
	(void)!err_set(e, ERR_REMOTE, "status %d", x->status);
	return x->status == 429 ? REMOTE_THROTTLED : x->status == 401 ? REMOTE_REFRESH : x->status >= 500
	       ? REMOTE_AGAIN : REMOTE_FAILED;
}

struct outcome {
	int rc;
	size_t requests;
	int64_t ms;
	struct ask ask;
	struct net_answer answer;
	struct err e;
};

static char *url_of(const char *scheme, const char *rest)
{
	return arena_printf(arena, "%s://127.0.0.1:%d%s", scheme, server.port, rest);
}

static struct outcome play_at(const char *url, const struct net_options *options, const struct remote_policy *policy,
			      const char *const *script, bool once, const char *header)
{
	static const struct net_options none;
	struct outcome o = { .ask = { .url = url, .header = header } };
	const struct remote_call call = { .build = build, .judge = judge, .arg = &o.ask, .once = once };
	struct net_client *client;
	int64_t start = tm_mono_ms();

	pthread_mutex_lock(&server.lock);
	server.script = script;
	server.at = server.ran = 0;
	buf_clear(&server.seen);
	pthread_mutex_unlock(&server.lock);
	if (net_here->open(&ctx, options ? options : &none, &client, &o.e) != 0)
		abort();
	o.rc = remote_call(client, arena, policy, &call, &o.answer, &o.e);
	net_here->close(client);
	o.requests = server.ran;
	o.ms = tm_mono_ms() - start;
	return o;
}

static const struct remote_policy quick = { .base_ms = 5, .deadline_ms = 20000 };

static struct outcome play(const char *const *script, bool once)
{
	return play_at(url_of("http", "/path?sig=secret-2"), NULL, &quick, script, once, NULL);
}

#define SCRIPT(...) ((const char *const[]){ __VA_ARGS__, NULL })

static void retries(void)
{
	static const char busy[] = STATUS("500 Oops", "");
	struct outcome o = play(SCRIPT(busy, busy, OK_200), false);

	ok(o.rc == 0 && o.requests == 3, "the server's trouble passes: %s", o.e.msg);
	o = play(SCRIPT(busy, busy, busy, OK_200), false);
	ok(o.rc != 0 && o.requests == 3 && o.e.code == ERR_REMOTE, "or not: %s", o.e.msg);
	o = play(SCRIPT(busy, OK_200), true);
	ok(o.rc != 0 && o.requests == 1, "what makes something is not asked for twice");
	o = play(SCRIPT(RESET, OK_200), false);
	ok(o.rc == 0 && o.requests == 2, "a lost answer is asked for again: %s", o.e.msg);
	o = play(SCRIPT(RESET, OK_200), true);
	ok(o.rc != 0 && o.requests == 1, "not where it may have been carried out: %s", o.e.msg);
	o = play(SCRIPT("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n{", OK_200), false);
	ok(o.rc == 0 && o.requests == 2, "half an answer is none: %s", o.e.msg);
	o = play(SCRIPT(STATUS("404 No", ""), OK_200), false);
	ok(o.rc != 0 && o.requests == 1, "what is final is final");
	o = play(SCRIPT(STATUS("302 Found", "Location: /elsewhere\r\n"), OK_200), false);
	ok(o.rc != 0 && o.requests == 1 && strstr(o.e.msg, "302"), "a redirect is not followed");
	o = play(SCRIPT("SSH-2.0-OpenSSH_9.2\r\n", OK_200), true);
	ok(o.rc != 0 && o.requests == 1, "not HTTP at all: %s", o.e.msg);
}

static void busy_server(void)
{
	static const char later[] = STATUS("429 Later", "");
	struct outcome o = play(SCRIPT(later, later, later, later, later, later, later, later, later, later, OK_200),
				true);

	ok(o.rc == 0 && o.requests == 11, "ten refusals, then served: %s", o.e.msg);
	o = play(SCRIPT(STATUS("429 Later", "Retry-After: 1\r\n"), OK_200), false);
	ok(o.rc == 0 && o.ms >= 1000, "Retry-After in seconds: %d", (int)o.ms);
	o = play(SCRIPT(STATUS("429 Later", "x-ms-retry-after-ms: 300\r\n"), OK_200), false);
	ok(o.rc == 0 && o.ms >= 300 && o.ms < 5000, "and in milliseconds: %d", (int)o.ms);
	o = play(SCRIPT(STATUS("503 Later", "Retry-After: 3600\r\n"), OK_200), false);
	ok(o.rc != 0 && o.requests == 1 && o.ms < 5000, "one that is too long is not waited for");
	o = play(SCRIPT(STATUS("503 Later", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n"), OK_200), false);
	ok(o.rc == 0 && o.ms < 5000, "a date that is past");
	o = play(SCRIPT(STATUS("503 Later", "Retry-After: Fri, 01 Jan 2960 08:49:37 GMT\r\n"), OK_200), false);
	ok(o.rc != 0 && o.requests == 1, "one far away");
	o = play(SCRIPT(STATUS("503 Later", "Retry-After: 99999999999999999999\r\n"), OK_200), false);
	ok(o.rc == 0, "nonsense is no wish");
}

static void deadlines(void)
{
	static const struct remote_policy brief = { .base_ms = 5, .deadline_ms = 400 };
	static const char later[] = STATUS("429 Later", "");
	const char *for_ever[1000] = { NULL };
	struct outcome o = play_at(url_of("http", "/"), NULL, &brief, SCRIPT(HANG), false, NULL);

	ok(o.rc != 0 && o.ms >= 350 && o.ms < 8000, "a server that hangs: %d ms, %s", (int)o.ms, o.e.msg);
	wait_ms(2100); /* until it listens again */
	for (size_t i = 0; i < COUNT(for_ever) - 1; i++)
		for_ever[i] = later;
	o = play_at(url_of("http", "/"), NULL, &brief, for_ever, false, NULL);
	ok(o.rc != 0 && o.ms < 8000 && strstr(o.e.msg, "429"), "one that is busy for ever: %d ms, %s", (int)o.ms,
	   o.e.msg);
}

static void refreshing(void)
{
	static const char stale[] = STATUS("401 No", "");
	struct outcome o = play(SCRIPT(stale, OK_200), true);

	ok(o.rc == 0 && o.ask.refreshed == 1, "credentials are renewed: %s", o.e.msg);
	o = play(SCRIPT(stale, stale, OK_200), false);
	ok(o.rc != 0 && o.requests == 2 && o.ask.refreshed == 1, "once");
}

static void limits(void)
{
	static const struct net_options small = { .answer_max = 1000 };
	char *big = arena_printf(arena, "HTTP/1.1 200 OK\r\nContent-Length: 2000\r\n\r\n%02000d", 7);
	struct outcome o = play_at(url_of("http", "/"), &small, &quick, SCRIPT(big, OK_200), false, NULL);

	ok(o.rc != 0 && o.requests == 1 && strstr(o.e.msg, "too large"), "a body over the limit: %s", o.e.msg);
	o = play(SCRIPT(FLOOD, OK_200), false);
	ok(o.rc != 0 && o.requests == 1 && strstr(o.e.msg, "too large"), "headers over the limit: %s", o.e.msg);
	o = play(SCRIPT("nul"), false);
	ok(o.rc == 0 && o.answer.body.n == 5 && memcmp(o.answer.body.p, "a\0b\0c", 6) == 0, "NUL bytes in a body");
	o = play(SCRIPT("HTTP/1.1 200 OK\r\nX-A:  b \r\nx-a: c\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
		 false);
	is_str(net_header(&o.answer, "X-A"), "b", "a header's value");
	ok(o.rc == 0 && net_header(&o.answer, "x-b") == NULL, "and none");
	o = play_at(url_of("http", "/"), NULL, &quick, nothing, false, "x\r\nX-Smuggled: y");
	ok(o.rc != 0 && o.requests == 0 && o.e.code == ERR_INVALID, "a header of two lines is not sent: %s", o.e.msg);
	o = play_at(url_of("http", "/a/../b/./c"), NULL, &quick, nothing, false, NULL);
	ok(o.rc == 0 && strstr(buf_str(&server.seen), "POST /a/../b/./c HTTP/1.1"), "paths are sent as they are");
}

static void connections(void)
{
	struct outcome o = play_at("http://127.0.0.1:1/", NULL, &quick, nothing, true, NULL);

	ok(o.rc != 0 && o.ask.built == 3, "what was certainly not sent is tried again: %s", o.e.msg);
	o = play_at("http://nowhere.invalid/", NULL, &quick, nothing, true, NULL);
	ok(o.rc != 0 && strstr(o.e.msg, "nowhere.invalid"), "no such host: %s", o.e.msg);
	o = play_at(url_of("https", "/"), NULL, &quick, SCRIPT("HTTP/1.1 400 This is no TLS\r\n\r\n"), true, NULL);
	ok(o.rc != 0 && !strstr(buf_str(&server.seen), "secret"), "without TLS nothing is said: %s", o.e.msg);
	o = play_at(url_of("ftp", "/"), NULL, &quick, nothing, false, NULL);
	ok(o.rc != 0 && o.ask.built == 1 && o.requests == 0, "nothing but http and https: %s", o.e.msg);
	o = play_at(url_of("https", "/"), &(struct net_options){ .ca_file = "/nonexistent/ca.pem" }, &quick, nothing,
		    false, NULL);
	ok(o.rc != 0 && o.e.code == ERR_REMOTE, "no such file of authorities: %s", o.e.msg);
}

static void secrets(void)
{
	SCOPED_BUF said = buf_init(BUF_TEXT);
	struct outcome o;

	buf_clear(&notes);
	o = play(SCRIPT(STATUS("500 secret-4", "X-Secret: secret-5\r\n"), RESET,
			"HTTP/1.1 404 No\r\nContent-Length: 8\r\n\r\nsecret-6"), false);
	buf_puts(&said, o.e.msg);
	o = play_at(url_of("http", "/secret-7"), NULL, &quick, SCRIPT(RESET), true, NULL);
	buf_puts(&said, o.e.msg);
	ok(strstr(buf_str(&notes), "POST http://127.0.0.1:") && strstr(buf_str(&notes), " test: 500 in "),
	   "notes say what was asked of whom");
	ok(!strstr(buf_str(&notes), "secret") && !strstr(buf_str(&said), "secret"), "and nothing secret: %s",
	   buf_str(&said));
}

struct many {
	struct net_client *client;
	const char *url;
};

static int one_of_many(void *arg, size_t i, struct arena *a, struct err *e)
{
	const struct many *m = arg;
	struct ask k = { .url = m->url };
	const struct remote_call call = { .build = build, .judge = judge, .arg = &k };
	struct net_answer x;

	(void)i;
	return remote_call(m->client, a, &quick, &call, &x, e);
}

static void threads(void)
{
	static const struct net_options none;
	struct many m = { .url = url_of("http", "/") };
	struct err e = { 0 };

	server.script = nothing;
	server.at = 0;
	if (net_here->open(&ctx, &none, &m.client, &e) != 0)
		abort();
	ok(pool_run(100, 8, one_of_many, &m, arena, NULL, &e) == 0, "from eight threads at once: %s", e.msg);
	net_here->close(m.client);
}

static void json(void)
{
	static const char *const bad[] = { "", "[]", "{\"a\":1,\"a\":2}", "{\"a\":\"\\u0000\"}", "{", "{}x", "\"text\"",
					   "<html>" };
	struct err e = { 0 };
	json_t *j = NULL;

	for (size_t i = 0; i < COUNT(bad); i++)
		ok(remote_json(bytes_of(bad[i]), &j, &e) != 0 && e.code == ERR_REMOTE, "refused: %s", bad[i]);
	ok(remote_json(bytes_of("{\"a\":{\"b\":\"text\",\"n\":1}}"), &j, &e) == 0, "taken");
	is_str(remote_text(j, "a.b"), "text", "a path");
	ok(!remote_text(j, "a.n") && !remote_text(j, "a.x.y") && !remote_text(j, "a.b.c") && remote_member(j, "a.n"),
	   "others");
	json_decref(j);
	is_str(remote_say(arena, "a\033[31m\nb"), "a\\x1b[31m\\x0ab", "what a server says is escaped");
	ok(strlen(remote_say(arena, arena_printf(arena, "%01000d", 1))) == 300, "and cut");
	is_str(remote_say(arena, NULL), "", "or nothing");
}

int main(void)
{
	pthread_t id;

	unsetenv("http_proxy"), unsetenv("https_proxy"), unsetenv("all_proxy");
	curl_global_init(CURL_GLOBAL_DEFAULT);
	net_here = &net_curl;
	arena = ctx.arena = arena_new();
	notes = buf_init(BUF_TEXT);
	id = start_server();
	retries();
	busy_server();
	deadlines();
	refreshing();
	limits();
	connections();
	secrets();
	threads();
	json();
	server.over = true;
	shutdown(server.fd, SHUT_RDWR);
	pthread_join(id, NULL);
	close(server.fd);
	buf_release(&server.seen);
	buf_release(&notes);
	arena_free(arena);
	curl_global_cleanup();
	return done();
}
