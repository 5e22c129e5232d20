// agent/broker/reach.h -- what the operating system lets a worker of an attempt reach, behind the verdict of each call.
#pragma once

#include "platform/confine_files.h"
#include "protocol/permissions.h"

namespace mill::broker {

/// The granted files, and what names, certificates, times and the helper are read from. The network stays to the verdicts.
platform::FileAccess reach_of(const protocol::Permissions& grants);

}  // namespace mill::broker
