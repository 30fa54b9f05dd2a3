#include "capi/src/handles.hpp"

pa_status pa_stop_new(pa_stop** stop, pa_error* error) {
  return pa::guarded(error, [&] {
    if (!stop) return PA_INVALID(error, "stop must not be NULL");
    *stop = nullptr;
    *stop = new pa_stop;
    return PA_STATUS_OK;
  });
}

void pa_stop_retain(pa_stop* stop) {
  if (stop) stop->retain();
}

void pa_stop_release(pa_stop* stop) {
  if (stop && stop->drop()) delete stop;
}

void pa_stop_request(pa_stop* stop) {
  if (stop) stop->token.request();
}

int32_t pa_stop_requested(const pa_stop* stop) { return stop && stop->token.requested(); }
