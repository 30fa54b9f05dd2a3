/* A worker without tasks of its own. */
#include <pa/pa.h>

int main(void) { return !pa_worker_requested() || pa_worker_serve(NULL) != PA_STATUS_OK; }
