# SPDX-License-Identifier: Apache-2.0
#
# The entry point: meson and ninja build the programs, and images/ builds the guest. `make help` lists the
# targets.

B ?= release
T ?=

options_release = --buildtype=debugoptimized
options_debug   = --buildtype=debug
options_asan    = --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false
options_tsan    = --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false
ifndef options_$(B)
$(error unknown build variant B=$(B); there are release, debug, asan and tsan)
endif

BUILD  := build$(if $(filter-out release,$(B)),-$(B))
IMAGES := build/images
AGENT  := $(BUILD)/bin/vulcan-guest

SHELL       := /bin/bash
.SHELLFLAGS := -o pipefail -c

# Prints only warnings and errors.
compile = ninja --quiet -C $(BUILD) $(1) | { grep -v '^ninja: no work to do' || true; }

.DEFAULT_GOAL := build
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: build run images image-% kernel refresh test lint bench bench-prom soak fuzz install clean help deps-% setup images-dir

build: deps-build setup ## build the programs into build/bin (B=release|debug|asan|tsan)
	@echo "build: compiling into $(BUILD)"
	@$(call compile,)

run: deps-build+images+vmm setup images-dir ## build, and run a Python program in a microVM
	@echo "build: compiling into $(BUILD)"
	@$(call compile,bin/vulcan bin/vulcan-guest bin/vulcan-vmm)
	@images/build $(IMAGES) $(AGENT) kernel python
	@echo "run: vulcan run --runtime python --metrics examples/hello.py"
	@$(BUILD)/bin/vulcan run --runtime python --metrics examples/hello.py

images: deps-build+images setup images-dir ## build the kernel, the initramfs and the image of every runtime
	@$(call compile,bin/vulcan-guest)
	@images/build $(IMAGES) $(AGENT) all
	@echo "images: $$(cd $(IMAGES) && echo *.squashfs) in $(IMAGES)"

image-%: deps-build+images setup images-dir ## build the kernel, the initramfs and one image (image-python)
	@$(call compile,bin/vulcan-guest)
	@images/build $(IMAGES) $(AGENT) kernel $*

kernel: deps-build+images+kernel setup images-dir ## build the tuned guest kernel from Debian's source (ten minutes on 2 cores, once)
	@images/kernel-tuned build
	@$(call compile,bin/vulcan-guest)
	@images/build $(IMAGES) $(AGENT) kernel

refresh: deps-images ## update Debian's package lists; images with updates are rebuilt next time
	@images/refresh

test: deps-build+images+vmm+test setup images-dir ## run all tests, or those that T=NAME names
	@echo "build: compiling into $(BUILD)"
	@$(call compile,)
	@images/build $(IMAGES) $(AGENT) all
	@tools/test $(BUILD) $(T)

lint: deps-build+lint setup ## check layers, layout, scripts and code
	@$(call compile,)
	@tools/lint $(BUILD)

bench: deps-build+images+vmm+bench setup images-dir ## run the benchmarks, or those that T=NAME names
	@$(call compile,)
	@images/build $(IMAGES) $(AGENT) all
	@for b in $(BUILD)/bench/bench_*$(T)*; do \
		[ -x "$$b" ] && [ -f "$$b" ] || continue; \
		echo "== $${b##*/}"; PATH="$(CURDIR)/$(BUILD)/bin:$$PATH" "$$b" || exit 1; \
	done
	@for b in bench/bench_*$(T)*.py; do \
		[ -x "$$b" ] || continue; \
		echo "== $${b##*/}"; "$$b" $(BUILD) || exit 1; \
	done

bench-prom: deps-build setup ## compare the metrics library with others, into docs/bench-prom.md (3 minutes)
	@tools/deps peers || true
	@$(call compile,bench/prom/bench_peer_ours bench/prom/bench_peer_floor)
	@bench/prom/run $(BUILD) --out docs/bench-prom.md

MINUTES ?= 60
soak: deps-build+test setup ## keep a daemon under mixed load and check that nothing grows (MINUTES=60)
	@$(call compile,)
	@tests/soak/soak.py --build $(BUILD) --seconds $$(($(MINUTES) * 60))

SECONDS ?= 60
fuzz: deps-build+lint ## fuzz one parser with libFuzzer (T=wire_frame, SECONDS=60)
	@[ -n "$(T)" ] || { echo "fuzz: name one with T=: $$(cd tests/fuzz && echo fuzz_*.c)"; exit 1; }
	@[ -d build-fuzz ] || CC=clang meson setup build-fuzz -Dfuzz=true \
		-Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja --quiet -C build-fuzz tests/fuzz_$(T)
	@mkdir -p build-fuzz/corpus/$(T)
	build-fuzz/tests/fuzz_$(T) -max_total_time=$(SECONDS) -artifact_prefix=build-fuzz/ \
		build-fuzz/corpus/$(T) tests/fuzz/corpus/fuzz_$(T)

PREFIX ?= /usr/local
install: build images ## install programs, images, pages, docs, completion, unit and settings (PREFIX=/usr/local, DESTDIR=)
	@meson configure $(BUILD) --prefix $(PREFIX)
	@$(call compile,)
	@DESTDIR=$(DESTDIR) meson install -C $(BUILD) --quiet --no-rebuild
	@install -d $(DESTDIR)/usr/lib/vulcan/images $(DESTDIR)$(PREFIX)/lib/systemd/system $(DESTDIR)/etc \
		$(DESTDIR)$(PREFIX)/share/vulcan $(addprefix $(DESTDIR)$(PREFIX)/share/doc/vulcan/,docs images)
	@cp -L $(IMAGES)/* $(DESTDIR)/usr/lib/vulcan/images/
	@sed 's|^ExecStart=/usr/bin/|ExecStart=$(PREFIX)/bin/|' packaging/vulcan.service \
		>$(DESTDIR)$(PREFIX)/lib/systemd/system/vulcan.service
	@install -m 644 packaging/user.conf packaging/prometheus/vulcan.rules.yml $(DESTDIR)$(PREFIX)/share/vulcan/
	@env -i $(BUILD)/bin/vulcan config --sample >$(DESTDIR)$(PREFIX)/share/vulcan/vulcan.conf
	@[ -e $(DESTDIR)/etc/vulcan.conf ] || \
		install -m 644 $(DESTDIR)$(PREFIX)/share/vulcan/vulcan.conf $(DESTDIR)/etc/vulcan.conf
	@install -m 644 README.md LICENSE $(DESTDIR)$(PREFIX)/share/doc/vulcan/
	@install -m 644 docs/*.md $(DESTDIR)$(PREFIX)/share/doc/vulcan/docs/
	@install -m 644 images/README.md $(DESTDIR)$(PREFIX)/share/doc/vulcan/images/
	@echo "install: vulcan in $(DESTDIR)$(PREFIX)/bin$(if $(DESTDIR),,; next: systemctl enable --now vulcan)"

clean: ## remove the build folders (images stay in the cache, $${VULCAN_CACHE:-/var/cache/vulcan})
	rm -rf build build-debug build-asan build-tsan build-fuzz

help: ## list the targets
	@sed -nE 's/^([a-z%-]+):.*## (.*)/  make \1\t\2/p' Makefile | sed 's/\$$\$$/$$/; s/image-%/image-NAME/' | expand -t 22

# Installs the missing packages of the groups in the target's name.
deps-%:
	@tools/deps $(subst +, ,$*)

setup:
	@tools/configure $(BUILD) $(B) $(options_$(B))

# Images are the same for all variants.
images-dir:
	@mkdir -p $(IMAGES)
	@[ $(BUILD) = build ] || [ -e $(BUILD)/images ] || ln -s ../build/images $(BUILD)/images
