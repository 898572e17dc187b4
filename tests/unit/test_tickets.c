/* Session tickets: what is resumed, and with which keys, as hours go by. */
#include <sys/wait.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/tm.h"
#include "crypto/ossl.h"
#include "serve/tickets.h"
#include "tap.h"
#include "mini_pki.h"

enum { HOUR_MS = 3600 * 1000, NAME_LEN = 16 };

DEFINE_AUTO(SSL_CTX, SSL_CTX_free)
DEFINE_AUTO(SSL_SESSION, SSL_SESSION_free)

static SSL_SESSION *kept;

static int keep(SSL *ssl, SSL_SESSION *session)
{
	(void)ssl;
	SSL_SESSION_free(kept);
	kept = session;
	return 1;
}

static SSL_CTX *make_server(struct arena *a)
{
	struct node n = make_node(a, NULL, "CN=server", false, "DNS:server", NULL);
	SSL_CTX *c = SSL_CTX_new(TLS_server_method());
	const unsigned char *p = n.der.p;
	X509 *x = d2i_X509(NULL, &p, (long)n.der.n);
	struct err e = { 0 };

	if (!c || SSL_CTX_use_certificate(c, x) != 1 || SSL_CTX_use_PrivateKey(c, n.key) != 1 ||
	    tickets_use(c, &e) != 0)
		exit(99);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);
	X509_free(x);
	EVP_PKEY_free(n.key);
	return c;
}

static SSL_CTX *make_client(int version)
{
	SSL_CTX *c = SSL_CTX_new(TLS_client_method());

	if (!c || SSL_CTX_set_max_proto_version(c, version) != 1)
		exit(99);
	SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
	SSL_CTX_sess_set_new_cb(c, keep);
	return c;
}

/* Whether a session was resumed; the ticket that came is in `kept`. */
static bool resumes(SSL_CTX *server, SSL_CTX *client, const SSL_SESSION *with)
{
	AUTO(SSL_SESSION) *once = with ? SSL_SESSION_dup(with) : NULL; /* in TLS 1.3 a client uses one no second time */
	SSL *s = SSL_new(server), *c = SSL_new(client);
	BIO *one, *other;
	char byte;
	bool yes;

	if (!s || !c || BIO_new_bio_pair(&one, 0, &other, 0) != 1 || (with && SSL_set_session(c, once) != 1))
		exit(99);
	SSL_set_bio(s, one, one);
	SSL_set_bio(c, other, other);
	SSL_set_accept_state(s);
	SSL_set_connect_state(c);
	for (int i = 0; i < 20 && !(SSL_is_init_finished(s) && SSL_is_init_finished(c)); i++) {
		SSL_do_handshake(c);
		SSL_do_handshake(s);
	}
	SSL_read(c, &byte, 1); /* tickets of TLS 1.3 */
	yes = SSL_is_init_finished(c) && SSL_session_reused(c);
	SSL_shutdown(c);
	SSL_free(s);
	SSL_free(c);
	return yes;
}

static struct bytes name_of(const SSL_SESSION *s)
{
	const unsigned char *ticket = NULL;
	size_t n = 0;

	if (s)
		SSL_SESSION_get0_ticket(s, &ticket, &n);
	return (struct bytes){ ticket, n < NAME_LEN ? 0 : NAME_LEN };
}

static SSL_SESSION *take(void)
{
	SSL_SESSION *s = kept;

	kept = NULL;
	return s;
}

static void test_hours(struct arena *a, int version, const char *called)
{
	AUTO(SSL_CTX) *server = make_server(a);
	AUTO(SSL_CTX) *client = make_client(version);
	int64_t now = tm_mono_ms();
	AUTO(SSL_SESSION) *first = (resumes(server, client, NULL), take());
	AUTO(SSL_SESSION) *second = NULL;

	ok(name_of(first).n == NAME_LEN && resumes(server, client, first), "%s: a ticket is resumed", called);
	tickets_turn(server, now + HOUR_MS / 2);
	SSL_SESSION_free(take());
	resumes(server, client, NULL);
	second = take();
	ok(bytes_equal(name_of(first), name_of(second)), "%s: for an hour the key is the same", called);
	SSL_SESSION_free(second);
	tickets_turn(server, now + HOUR_MS + 1000);
	resumes(server, client, NULL);
	second = take();
	ok(name_of(second).n == NAME_LEN && !bytes_equal(name_of(first), name_of(second)),
	   "%s: then there is another one", called);
	ok(resumes(server, client, first) && resumes(server, client, second),
	   "%s: and that of the hour before still serves", called);
	tickets_turn(server, now);
	ok(resumes(server, client, second), "%s: a clock that goes back changes nothing", called);
	tickets_turn(server, now + 2 * HOUR_MS + 1000);
	ok(!resumes(server, client, first) && resumes(server, client, second), "%s: not after two hours", called);
	tickets_turn(server, now + 9 * HOUR_MS + 1000);
	ok(!resumes(server, client, second), "%s: nor after many in which nobody came", called);
	SSL_SESSION_free(take());
}

/* In a process of its own, whose keys move on by themselves. */
static SSL_SESSION *ticket_of_child(SSL_CTX *server, SSL_CTX *client, int64_t then)
{
	unsigned char der[8192], *p = der;
	const unsigned char *q = der;
	int fds[2], status, n;
	pid_t pid;

	if (pipe(fds) != 0 || (pid = fork()) < 0)
		exit(99);
	if (pid == 0) {
		tickets_turn(server, then);
		resumes(server, client, NULL);
		n = kept && i2d_SSL_SESSION(kept, NULL) <= (int)sizeof(der) ? i2d_SSL_SESSION(kept, &p) : 0;
		_exit(write(fds[1], der, (size_t)n) == n ? 0 : 1);
	}
	close(fds[1]);
	n = (int)read(fds[0], der, sizeof(der));
	close(fds[0]);
	return waitpid(pid, &status, 0) == pid && status == 0 && n > 0 ? d2i_SSL_SESSION(NULL, &q, n) : NULL;
}

static void test_processes(struct arena *a)
{
	AUTO(SSL_CTX) *server = make_server(a);
	AUTO(SSL_CTX) *other = make_server(a);
	AUTO(SSL_CTX) *client = make_client(TLS1_3_VERSION);
	int64_t now = tm_mono_ms();
	AUTO(SSL_SESSION) *s = NULL;

	fflush(stdout);
	s = ticket_of_child(server, client, now + 5 * HOUR_MS + 1000);
	ok(s && !resumes(server, client, s), "a process that is ahead has other keys");
	tickets_turn(server, now + 5 * HOUR_MS + 1000);
	ok(s && resumes(server, client, s), "and comes to the same ones with time");
	ok(s && !resumes(other, client, s), "another listener has others");
	SSL_SESSION_free(take());
}

int main(void)
{
	struct arena *a = arena_new();

	test_hours(a, TLS1_2_VERSION, "TLS 1.2");
	test_hours(a, TLS1_3_VERSION, "TLS 1.3");
	test_processes(a);
	arena_free(a);
	return done();
}
