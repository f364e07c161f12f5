program main
  use iso_fortran_env
  implicit none
  integer :: i, j
  real, allocatable :: a(:)
  allocate(a(10))
  do i = 1, 10 ! do
    do j = 1, i
      a(j) = a(j) + 1
      if (a(j) > 3) then
        print *, "do 'x'"
      end if
    end do
  enddo
  do while (i > 0)
    i = i - 1
  end do
  call run(a)
contains
  recursive subroutine run(x)
    real :: x(:)
    if (x(1) > 0) call run(x)
  end subroutine run
end program main
