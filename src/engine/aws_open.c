/* Opening an engine of AWS: its settings, from the document, the environment and AWS's own files, in this order.
 * Nothing is asked of the network, unless the region can only come from the machine itself. */
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "engine/aws_keys.h"
#include "engine/sealed.h"

enum { META_CONNECT_MS = 1000 };

const char *const aws_auth_names[] = { "default", "static", "role", NULL };
const char *const aws_access_key_aka[] = { "aws_access_key_id", NULL };
const char *const aws_secret_aka[] = { "aws_secret_access_key", NULL };
const char *const aws_token_aka[] = { "aws_session_token", NULL };
const char *const aws_endpoint_aka[] = { "endpoint", NULL };

const char *aws_env(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] ? value : NULL;
}

static bool is_true(const char *s)
{
	return s && text_same_name(s, "true");
}

static int resolve(struct arena *a, const char *what, const char *ref, const char **ret, struct err *e)
{
	char *text = NULL;

	if (ref && secret_resolve(a, what, ref, &text, e) != 0)
		return -1;
	*ret = text;
	return 0;
}

int aws_config_check(struct arena *a, const struct aws_config *c, struct err *e)
{
	char *url, *host;

	if (c->region && !aws_region_valid(c->region))
		return err_set(e, ERR_INVALID, "region: \"%s\" is not the name of a region", c->region);
	if (c->endpoint_url && aws_endpoint_check(a, c->endpoint_url, &url, &host, e) != 0)
		return -1;
	if (!c->access_key_id != !c->secret_access_key)
		return err_set(e, ERR_INVALID, "access_key_id and secret_access_key belong together");
	if (c->auth_method == AWS_AUTH_STATIC && !c->access_key_id)
		return err_set(e, ERR_INVALID, "auth_method: static needs access_key_id and secret_access_key");
	if (c->auth_method == AWS_AUTH_ROLE && !c->role_arn)
		return err_set(e, ERR_INVALID, "auth_method: role needs role_arn");
	return 0;
}

static bool is_access_key(const char *s)
{
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == strlen(s);
}

/* The keys that the document gives. The access key is no secret, so it may stand there as it is. */
static int given_keys(struct arena *a, const struct aws_config *c, struct aws_keys *ret, struct err *e)
{
	const char *access = c->access_key_id;

	*ret = (struct aws_keys){ .access = access, .source = "the engine's document" };
	if (access && !is_access_key(access) && resolve(a, "access_key_id", access, &ret->access, e) != 0)
		return -1;
	return resolve(a, "secret_access_key", c->secret_access_key, &ret->secret, e) != 0 ||
	       resolve(a, "session_token", c->session_token, &ret->token, e) != 0 ? -1 : 0;
}

static int find_region(struct aws *w, struct arena *a, const struct aws_files *files, struct err *e)
{
	const char *const sources[] = { w->config->region, aws_env("AWS_REGION"), aws_env("AWS_DEFAULT_REGION"),
					aws_profile_get(files, a, w->profile, "region") };
	struct err why = { 0 };
	char *found = NULL;

	for (size_t i = 0; i < COUNT(sources) && !found; i++)
		if (sources[i] && sources[i][0])
			found = arena_strdup(a, sources[i]);
	if (!found && aws_instance_region(w, a, &found, &why) != 0)
		return err_set(e, ERR_INVALID,
			       "the region is not known: give region, AWS_REGION, or a profile that has one (%s)",
			       why.msg);
	if (!aws_region_valid(found))
		return err_set(e, ERR_INVALID, "region: \"%s\" is not the name of a region", found);
	w->region = found;
	return 0;
}

int aws_locate(const struct aws *w, struct arena *a, const struct aws_files *files, const struct aws_service *s,
	       const char *region, char **ret_url, char **ret_host, struct err *e)
{
	const char *services = aws_profile_get(files, a, w->profile, "services");
	const char *url = s == w->service ? w->config->endpoint_url : NULL;

	if (!url && !is_true(aws_env("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS"))) {
		url = aws_env(s->variable);
		if (!url)
			url = aws_env("AWS_ENDPOINT_URL");
		if (!url && services)
			url = aws_ini_get(&files->config, arena_printf(a, "services %s", services), s->setting);
		if (!url)
			url = aws_profile_get(files, a, w->profile, "endpoint_url");
	}
	if (!url)
		url = aws_endpoint(a, s, region, w->fips, w->dual_stack);
	return aws_endpoint_check(a, url, ret_url, ret_host, e);
}

/* What the document leaves open. */
static int settle(struct aws *w, struct arena *a, struct err *e)
{
	struct aws_files files;
	char *url, *host;

	if (given_keys(a, w->config, &w->given, e) != 0 || aws_files_read(a, &files, e) != 0)
		return -1;
	w->fips = w->config->fips || is_true(aws_env("AWS_USE_FIPS_ENDPOINT")) ||
		  is_true(aws_profile_get(&files, a, w->profile, "use_fips_endpoint"));
	w->dual_stack = w->config->dual_stack || is_true(aws_env("AWS_USE_DUALSTACK_ENDPOINT")) ||
			is_true(aws_profile_get(&files, a, w->profile, "use_dualstack_endpoint"));
	if (find_region(w, a, &files, e) != 0 || aws_locate(w, a, &files, w->service, w->region, &url, &host, e) != 0)
		return -1;
	w->url = url;
	w->host = host;
	return 0;
}

int aws_open(struct ctx *ctx, struct engine *en, const struct aws_service *s, const struct aws_config *c,
	     struct aws **ret, struct err *e)
{
	struct aws *w = arena_new_array(en->arena, 1, struct aws);
	const struct net_options net = { .ca_file = c->ca_file ? c->ca_file : aws_env("AWS_CA_BUNDLE") };
	const struct net_options meta = { .no_proxy = true, .connect_timeout_ms = META_CONNECT_MS };
	const char *profile = c->profile ? c->profile : aws_env("AWS_PROFILE");

	process_harden();
	*w = (struct aws){ .service = s, .config = c, .profile = profile ? profile : "default",
			   .profile_named = profile,
			   .policy = { .attempts = (unsigned)c->max_attempts, .deadline_ms = c->timeout.secs * 1000 } };
	if (net_here->open(ctx, &net, &w->net, e) != 0)
		return -1;
	if (net_here->open(ctx, &meta, &w->meta, e) != 0) {
		net_here->close(w->net);
		return -1;
	}
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->changed, NULL);
	if (settle(w, en->arena, e) != 0) {
		aws_close(w);
		return -1;
	}
	*ret = w;
	return 0;
}

void aws_close(struct aws *w)
{
	net_here->close(w->net);
	net_here->close(w->meta);
	pthread_mutex_destroy(&w->lock);
	pthread_cond_destroy(&w->changed);
	arena_free(w->kept);
	w->kept = NULL;
}
