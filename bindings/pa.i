/* What SWIG makes the raw layers of. `./run generate` runs it: for Go and Java with typemaps that let only integers cross the
 * border, for Rust as XML, from which rust/generate.py writes libpa-sys. */
%module palow
%{
#include <pa/pa.h>
%}

#if defined(SWIGGO)
%include "go/palow.i"
#elif defined(SWIGJAVA)
%include "java/palow.i"
#elif defined(SWIGXML)
%include <pa/pa.h>
%include <pa/job.h>
%include <pa/process.h>
%include <pa/api.h>
#endif
