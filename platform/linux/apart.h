// platform/linux/apart.h -- a child that can signal only itself and its own. For platform/ only.
#pragma once

namespace mill::platform {

/// Descriptor of a Landlock rule set for landlock_restrict_self(2), made once; -1 where the kernel does not know it (before 6.12).
int apart_rules();

}  // namespace mill::platform
