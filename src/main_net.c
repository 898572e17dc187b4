/* lamassu-net: the same program with the network. `lamassu` starts it when a command needs that; people do not. */
#include <curl/curl.h>

#include "cmd/root.h"
#ifdef WITH_P11
#include <string.h>

#include "engine/pkcs11.h"
#endif
#include "net/net.h"

int main(int argc, char **argv)
{
	int status;

#ifdef WITH_P11
	p11_here = &p11_libp11;
	if (argc == 3 && strcmp(argv[1], "pkcs11-probe") == 0)
		return p11_probe_main(argv[2]);
#endif
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return 1;
	net_here = &net_curl;
	status = cli_main(&lamassu_cli, argc, argv);
	curl_global_cleanup();
	return status;
}
