(require 'asdf)
; for
#| block #| nested |# |#
(defun fact (n)
  (if (< n 2) 1 (* n (fact (- n 1)))))
(defun main ()
  (let ((v (make-array 10)))
    (dotimes (i 10)
      (loop for x in v do (print (fact x))))
    (dolist (y v) (princ "for (loop"))))
