/* TLS and the access log of a listener. Guarantees: a certificate without its key is never served; renewing takes
 * everything that was given as a file, or nothing. */
#include "serve/outfit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "base/fs.h"
#include "crypto/cert.h"
#include "crypto/key.h"
#include "serve/listener.h"

static int open_log(const char *path, int *ret, struct err *e)
{
	*ret = -1;
	if (!path)
		return 0;
	*ret = strcmp(path, "-") == 0 ? STDOUT_FILENO
				      : open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0640);
	return *ret < 0 ? err_sys(e, path) : 0;
}

static void close_log(int fd)
{
	if (fd > STDERR_FILENO)
		close(fd);
}

static struct bytes both(struct arena *a, struct bytes x, struct bytes y)
{
	unsigned char *p = arena_alloc(a, 1, x.n + y.n + 1);

	if (x.n)
		memcpy(p, x.p, x.n);
	p[x.n] = '\n'; /* a file may end without */
	if (y.n)
		memcpy(p + x.n + 1, y.p, y.n);
	return (struct bytes){ p, x.n + 1 + y.n };
}

/* A key in an engine is opened by the workers; that it is the certificate's is known before there are any. */
static int check_key_id(struct arena *a, const struct outfit *f, const struct tls_settings *s, struct err *e)
{
	struct bytes *der;
	struct cert leaf;
	size_t n;

	if (!f->tls_key_id)
		return 0;
	if (cert_split(a, s->cert, &der, &n, e) != 0 || cert_parse(a, der[0], &leaf, e) != 0)
		return err_ctx(e, "TLS certificate");
	return strcmp(f->tls_key_id, key_id(a, leaf.spki)) == 0 ? 0
								: err_set(e, ERR_CHECK,
									  "the TLS key does not belong to the TLS "
									  "certificate");
}

int outfit_make(struct arena *a, const struct listen_options *o, const struct prepared *p, struct outfit *ret,
		struct err *e)
{
	*ret = (struct outfit){ .o = o, .log = -1, .tls_key_id = p->tls_key_id };
	ret->psk = (struct tls_psk){ .find = o->service->psk, .options = o->options, .own = p->own };
	ret->tls = (struct tls_settings){ .cert = o->tls_cert.n ? o->tls_cert : p->tls_cert,
					  .key = o->tls_key.n ? o->tls_key : p->tls_key, .min_version = o->min_version,
					  .ciphers = o->ciphers, .ask_client = o->ask_client,
					  .require_client = o->require_client, .any_date = o->service->judges_dates,
					  .client_cas = o->check_client ? both(a, o->client_cas, p->client_cas)
									: (struct bytes){ 0 },
					  .psk = p->psk ? &ret->psk : NULL };
	if (!o->plain && (check_key_id(a, ret, &ret->tls, e) != 0 || tls_context(&ret->tls, &ret->context, e) != 0))
		return -1;
	return open_log(o->access_log, &ret->log, e);
}

static struct bytes copy(struct arena *a, struct bytes b)
{
	return (struct bytes){ memcpy(arena_alloc(a, 1, b.n + 1), b.p, b.n), b.n };
}

static int read_anew(struct arena *a, const char *file, struct bytes *ret, struct err *e)
{
	if (file)
		return fs_read_input(a, file, FS_LIMIT_CERT, ret, e);
	if (ret->n)
		*ret = copy(a, *ret);
	return 0;
}

static void put_on(struct outfit *f, const struct tls_settings *s, SSL_CTX *c, struct arena *a)
{
	SSL_CTX_free(f->context);
	arena_free(f->read);
	f->tls = *s;
	f->context = c;
	f->read = a;
}

int outfit_renew(struct outfit *f, struct err *e)
{
	const struct listen_options *o = f->o;
	struct tls_settings s = f->tls;
	struct arena *a = arena_new();
	SSL_CTX *c = NULL;
	int log, r;

	r = open_log(o->access_log, &log, e);
	if (r == 0 && !o->plain)
		r = read_anew(a, o->tls_cert_file, &s.cert, e) != 0 || read_anew(a, o->tls_key_file, &s.key, e) != 0 ||
		    check_key_id(a, f, &s, e) != 0 || tls_context(&s, &c, e) != 0 ? -1 : 0;
	if (r != 0) {
		close_log(log);
		arena_free(a);
		return -1;
	}
	close_log(f->log);
	f->log = log;
	put_on(f, &s, c, a);
	return 0;
}

int outfit_certify(struct outfit *f, struct bytes cert, struct bytes key, struct err *e)
{
	struct tls_settings s = f->tls;
	struct arena *a = arena_new();
	SSL_CTX *c;

	s.cert = copy(a, cert);
	s.key = copy(a, key);
	if (tls_context(&s, &c, e) != 0) {
		arena_free(a);
		return -1;
	}
	put_on(f, &s, c, a);
	return 0;
}

void outfit_free(struct outfit *f)
{
	close_log(f->log);
	SSL_CTX_free(f->context);
	arena_free(f->read);
}
