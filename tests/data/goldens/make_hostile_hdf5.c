/* Writes the small HDF5 files that the reader must refuse, and one plain file of "another program" that it must read.
   Build: cc make_hostile_hdf5.c $(pkg-config --cflags --libs hdf5-serial hdf5) -o make_hostile && ./make_hostile
   The files are kept beside this program because the tests do not include hdf5.h. */
#include <hdf5.h>
#include <string.h>

static hid_t create(const char* name) { return H5Fcreate(name, H5F_ACC_TRUNC, H5P_DEFAULT, H5P_DEFAULT); }
static void dataset(hid_t file, const char* name, hid_t type, int rank, const hsize_t* size, hid_t plist, const void* data) {
  hid_t space = H5Screate_simple(rank, size, NULL);
  hid_t set = H5Dcreate2(file, name, type, space, H5P_DEFAULT, plist, H5P_DEFAULT);
  if (data) H5Dwrite(set, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
  H5Dclose(set);
  H5Sclose(space);
}

int main(void) {
  const hsize_t two = 2, huge[2] = {(hsize_t)1 << 26, (hsize_t)1 << 24};
  const float values[2] = {1.5f, -2.0f};
  hid_t f, p;

  f = create("plain.h5");
  dataset(f, "values", H5T_IEEE_F32LE, 1, &two, H5P_DEFAULT, values);
  H5Fclose(f);

  f = create("external_link.h5");
  H5Lcreate_external("plain.h5", "/values", f, "values", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(f);

  f = create("soft_link.h5");
  dataset(f, "values", H5T_IEEE_F32LE, 1, &two, H5P_DEFAULT, values);
  H5Lcreate_soft("/values", f, "alias", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(f);

  f = create("second_name.h5");
  dataset(f, "values", H5T_IEEE_F32LE, 1, &two, H5P_DEFAULT, values);
  H5Lcreate_hard(f, "values", f, "again", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(f);

  f = create("group_cycle.h5");
  H5Gclose(H5Gcreate2(f, "a", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT));
  H5Lcreate_hard(f, "a", f, "a/a", H5P_DEFAULT, H5P_DEFAULT);
  H5Fclose(f);

  f = create("external_storage.h5");
  p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_external(p, "plain.h5", 0, 8);
  dataset(f, "values", H5T_IEEE_F32LE, 1, &two, p, NULL);
  H5Pclose(p);
  H5Fclose(f);

  f = create("virtual_layout.h5");
  {
    hid_t space = H5Screate_simple(1, &two, NULL);
    p = H5Pcreate(H5P_DATASET_CREATE);
    H5Pset_virtual(p, space, "plain.h5", "/values", space);
    dataset(f, "values", H5T_IEEE_F32LE, 1, &two, p, NULL);
    H5Pclose(p);
    H5Sclose(space);
  }
  H5Fclose(f);

  f = create("shape_bomb.h5"); /* declares 4 PiB, stores nothing */
  dataset(f, "values", H5T_IEEE_F32LE, 2, huge, H5P_DEFAULT, NULL);
  H5Fclose(f);

  f = create("chunk_bomb.h5"); /* the same in chunks never written */
  p = H5Pcreate(H5P_DATASET_CREATE);
  {
    const hsize_t chunk[2] = {1024, 1024};
    H5Pset_chunk(p, 2, chunk);
    H5Pset_deflate(p, 9);
  }
  dataset(f, "values", H5T_IEEE_F32LE, 2, huge, p, NULL);
  H5Pclose(p);
  H5Fclose(f);

  f = create("committed_type.h5");
  {
    hid_t t = H5Tcopy(H5T_IEEE_F32LE);
    H5Tcommit2(f, "type", t, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    H5Tclose(t);
  }
  H5Fclose(f);

  f = create("big_endian.h5");
  dataset(f, "values", H5T_IEEE_F32BE, 1, &two, H5P_DEFAULT, NULL);
  {
    hid_t s = H5Dopen2(f, "values", H5P_DEFAULT);
    H5Dwrite(s, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values);
    H5Dclose(s);
  }
  H5Fclose(f);

  f = create("variable_text.h5");
  {
    const char* text = "hello";
    const hsize_t one = 1;
    hid_t t = H5Tcopy(H5T_C_S1);
    H5Tset_size(t, H5T_VARIABLE);
    dataset(f, "values", t, 1, &one, H5P_DEFAULT, &text);
    H5Tclose(t);
  }
  H5Fclose(f);

  f = create("unknown_filter.h5"); /* optional filter 32004 (LZ4), chunk stored as it is */
  p = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(p, 1, &two);
  H5Pset_filter(p, 32004, H5Z_FLAG_OPTIONAL, 0, NULL);
  dataset(f, "values", H5T_IEEE_F32LE, 1, &two, p, values);
  H5Pclose(p);
  H5Fclose(f);
  return 0;
}
