// SPDX-License-Identifier: Apache-2.0
#pragma once
#include <facade/module.h>
