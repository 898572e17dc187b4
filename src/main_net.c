/* lamassu-net: the same program with the network. `lamassu` starts it when a command needs that; people do not. */
#include <curl/curl.h>

#include "base/wipe.h"
#include "cmd/root.h"
#include "engine/remote.h"
#include "engine/engine.h"
#include "net/net.h"
#ifdef WITH_EST
#include "est/operator.h"
#include "est/service.h"
#include "va/service.h"
#endif
#include "serve/listener.h"

#ifdef WITH_EST
static const struct listen_ops ops = { .run = listen_run, .config = listen_config, .identify = operator_identify,
				       .est = &est_service, .va = &va_service };
static const struct listen_ops *const listeners = &ops;
#else
static const struct listen_ops *const listeners;
#endif

int main(int argc, char **argv)
{
	int status = engine_child(argc, argv);

	if (status >= 0)
		return status;
	if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wipe_malloc, wipe_free, wipe_realloc, wipe_strdup,
				 wipe_calloc) != CURLE_OK)
		return 1;
	remote_wipe();
	net_here = &net_curl;
	listen_here = listeners;
	status = cli_main(&lamassu_cli, argc, argv);
	curl_global_cleanup();
	return status;
}
