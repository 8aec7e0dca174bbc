;; Builds a small real closure with the Guix daemon, from no substitutes, and prints its top. It is
;; what closure.nix is for Nix: everything in it that store items have in practice. Every machine
;; that builds it gets the same NARs, but for the item named `flavoured`, which holds what the
;; machine has in /tmp/flavour.
(use-modules (guix store) (guix derivations) (srfi srfi-1))

;; A builder must lie in the store; what it links against and calls need not, outside a chroot.
(define (shell store)
  (add-to-store store "sh" #t "sha256" (canonicalize-path "/bin/sh")))

;; Runs SCRIPT, which may refer to INPUTS: derivations and other store items.
(define (build store name inputs script)
  (derivation store name (shell store)
              (list "-euc" (string-append "echo building " name "\n" script))
              #:env-vars '(("PATH" . "/usr/bin:/bin"))
              #:inputs (map derivation-input (filter derivation? inputs))
              #:sources (cons (shell store) (remove derivation? inputs))))

;; No derivation made it: its references are its only provenance.
(define (notice store)
  (let ((licence (add-text-to-store store "licence" "Do as you please.\n")))
    (add-text-to-store store "notice" (string-append "see " licence "\n") (list licence))))

;; Enough real data, text and machine code, for saved bytes to show.
(define (library store)
  (build store "library-1.0" '() "
    mkdir -p $out/lib $out/share
    cp /usr/bin/guix-daemon $out/lib/code
    seq 200000 > $out/share/text
  "))

(define (shapes store)
  (build store "shapes" '() "
    mkdir -p $out/bin $out/many $out/void
    printf '#!/bin/sh\\necho %s\\n' $out > $out/bin/where # refers to itself
    chmod +x $out/bin/where
    ln -s where $out/bin/whereabouts
    ln -s /nowhere $out/dangling
    : > $out/empty
    i=0; while [ $i -lt 300 ]; do echo $i > \"$out/many/file $i\"; i=$((i + 1)); done
  "))

;; No function of its inputs: the machine shows, as clocks and CPU models do in packages that do
;; not build reproducibly. The store path is the same on every machine.
(define (flavoured store)
  (build store "flavoured" '() "{ cat /tmp/flavour 2>/dev/null || echo plain; } > $out"))

(define (app store)
  (let* ((notice (notice store))
         (inputs (map (lambda (input) (input store)) (list library shapes flavoured)))
         (paths (map derivation->output-path inputs)))
    (build store "app-1.0" (cons notice inputs)
           (apply format #f "
    mkdir -p $out/bin $out/share
    ln -s ~a/lib $out/lib
    printf '#!/bin/sh\\n%s/bin/where\\ncat %s\\n' ~a ~a > $out/bin/app
    chmod +x $out/bin/app
    ln -s ~a $out/share/notice
  " (append paths (list notice))))))

(with-store store
  (set-build-options store #:use-substitutes? #f #:offload? #f)
  (let ((app (app store)))
    (build-derivations store (list app))
    (format #t "~a~%" (derivation->output-path app))))
