#include "agent/companion/page_server.h"

namespace mill::companion {

Result<std::unique_ptr<PageServer>> start_page(PagePorts) { return fail(Errc::not_found, "this build has no page"); }

}  // namespace mill::companion
