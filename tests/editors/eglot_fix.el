;; Run by test_emacs.py: emacs --batch -l eglot_fix.el PYTHON FILE
;; Opens FILE, lets eglot start the server, takes the quick fix where the mistake is, saves, undoes it, and prints the
;; titles of what can be done with a selection. No configuration but the server's name and one setting.
(require 'package)
(package-initialize) ; finds Debian's eglot for Emacs before 29
(require 'eglot)
(require 'flymake)

(defun wait-until (what condition)
  "Listens to the server until CONDITION holds, two minutes at most; WHAT names it."
  (let ((end (+ (float-time) 120)))
    (while (not (funcall condition))
      (when (> (float-time) end) (error "Waited in vain: %s" what))
      (accept-process-output nil 0.05))))

(let ((python (pop command-line-args-left))
      (file (pop command-line-args-left)))
  (setq eglot-sync-connect 120
        eglot-connect-timeout 120
        jsonrpc-default-request-timeout 120
        eglot-confirm-server-initiated-edits nil
        eglot-confirm-server-edits nil ; its name since Emacs 30
        make-backup-files nil
        enable-local-variables nil)
  (add-to-list 'eglot-server-programs `(python-mode . (,python "-m" "lsp_server" :initializationOptions (:instructions ["add type hints"]))))
  (find-file file)
  (python-mode)
  (buffer-enable-undo)
  (apply #'eglot (eglot--guess-contact))
  (wait-until "the mistake is reported" #'flymake-diagnostics)
  (let ((before (buffer-string))
        (mistake (car (flymake-diagnostics))))
    (undo-boundary)
    (eglot-code-actions (flymake-diagnostic-beg mistake) (flymake-diagnostic-end mistake) "quickfix" t)
    (wait-until "the fix is in the buffer" (lambda () (not (equal (buffer-string) before))))
    (save-buffer)
    (undo-boundary)
    (setq last-command nil)
    (undo)
    (princ (if (equal (buffer-string) before) "undone\n" "not undone\n"))
    (dolist (action (append (eglot-code-actions (point-min) (point-max) "refactor.rewrite" nil) nil))
      (princ (format "%s\n" (plist-get action :title)))))
  (set-buffer-modified-p nil)
  (eglot-shutdown (eglot-current-server)))
